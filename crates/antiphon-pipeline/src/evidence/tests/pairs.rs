//! Sources and quotes in many languages, each with whether the quote may be found.

use antiphon_data::Document;

use crate::evidence::{Wanted, verify};

/// A source, a quote, and whether the quote is one of the source; in each line.
const PAIRS: &str = r#"
    So um I think uh the price is well too high for us. | I think the price is well too high for us. | yes
    Well, you know, the price is too high for us. | The price is too high for us. | yes
    I mean the price, um, is too high. | the price is too high | yes
    It's the only shop that I like. | It's the shop that I like. | no
    It is the only shop that I trust. | shop that I trust | no
    I always pay cash at the market. | I never pay cash at the market. | no
    Most people here pay in cash. | Few people here pay in cash. | no
    Few people here pay in cash. | people here pay in cash | no
    I almost quit my job last year. | quit my job last year | no
    I would have gone without my sister. | I would have gone with my sister. | no
    Prices increase before the winter. | Prices decrease before the winter. | no
    We buy it before the holidays. | We buy it after the holidays. | no
    The soup was hot when it came. | The soup was cold when it came. | no
    My boss asked me to work for him. | My boss asked him to work for me. | no
    I trust my bank more than my phone. | I trust my bank less than my phone. | no
    I trust my bank more than my phone. | I trust my phone more than my bank. | no
    I was unable to open the app. | I was able to open the app. | no
    I dislike the new app a lot. | I like the new app a lot. | no
    I'm not sure I would buy it again. | I would buy it again | no
    I don't think it helps us at all. | it helps us at all | no
    Nobody told us that the price had changed. | told us that the price had changed | no
    It's not that I hate it. | I hate it | no
    The app is easy to use, isn't it? | The app is easy to use | yes
    Das ist mir ehrlich gesagt nicht so wichtig. | Das ist mir ehrlich gesagt so wichtig. | no
    Ich kaufe das eigentlich nie im Laden. | Ich kaufe das eigentlich im Laden. | no
    Ich kaufe das, ähm, immer im Laden. | Ich kaufe das immer im Laden. | yes
    Ich kaufe immer im Laden. | Ich kaufe nur im Laden. | no
    Wir haben keine Zeit für so etwas. | Wir haben eine Zeit für so etwas. | no
    Wir haben keine Zeit für so etwas. | Zeit für so etwas | no
    Je ne paie jamais avec ma carte. | Je paie avec ma carte. | no
    Je ne paie jamais avec ma carte. | Je ne paie avec ma carte. | no
    Je ne paie que le vendredi. | Je paie le vendredi. | no
    Euh, je paie toujours avec ma carte. | je paie toujours avec ma carte | yes
    J'ai, euh, toujours payé avec ma carte. | J'ai toujours payé avec ma carte. | yes
    No compro nada en esa tienda. | Compro en esa tienda. | no
    No me gusta comprar en esa tienda. | me gusta comprar en esa tienda | no
    Pues, eh, siempre compro en esa tienda. | siempre compro en esa tienda | yes
    Non compro mai il pane qui. | compro il pane qui | no
    Compro, cioè, sempre il pane qui. | Compro sempre il pane qui. | yes
    Não compro pão nesta loja. | Compro pão nesta loja. | no
    Não compro pão nesta loja. | compro pão nesta loja | no
    Nie kupuję chleba w tym sklepie. | Kupuję chleba w tym sklepie. | no
    Я никогда не покупаю хлеб здесь. | Я покупаю хлеб здесь. | no
    Я не покупаю хлеб здесь. | покупаю хлеб здесь | no
    Ну, я, эм, покупаю хлеб здесь. | я покупаю хлеб здесь | yes
    Bu ekmeği hiç almıyorum artık. | Bu ekmeği almıyorum artık. | no
    Bu ekmeği almıyorum artık benim. | Bu ekmeği alıyorum artık benim. | no
    Bu ekmek pahalı değil bence. | Bu ekmek pahalı | no
    我不喜欢这个超市的面包。 | 我喜欢这个超市的面包 | no
    我很少在这个超市买面包。 | 我在这个超市买面包 | no
    我先洗菜再切肉。 | 我先切肉再洗菜 | no
    私はこの店でパンを買いません。 | 私はこの店でパンを買います | no
    私はこの店でパンを買いません。 | 私はこの店でパンを | no
    この店のパンはあまり好きではないです。 | この店のパンはあまり好き | no
    저는 이 가게에서 빵을 안 사요. | 저는 이 가게에서 빵을 사요. | no
    저는 이 가게에서 빵을 사지 못해요. | 저는 이 가게에서 빵을 사 | no
    음, 저는 이 가게에서 빵을 사요. | 저는 이 가게에서 빵을 사요. | yes
    저는, 음, 이 가게에서 빵을 사요. | 저는 이 가게에서 빵을 사요. | yes
    ฉันไม่ชอบขนมปังร้านนี้ | ฉันชอบขนมปังร้านนี้ | no
    ฉันไม่ชอบขนมปังร้านนี้ | ชอบขนมปังร้านนี้ | no
    We have two or three shops. | We have three or two shops. | no
    We open at 8 and close at 6. | We open at 6 and close at 8. | no
    I work 40 hours in 5 days. | I work 40 hours in days. | no
    The rent is 1,200 a month. | The rent is 200 a month. | no
    The rent is 1,200 a month. | 200 a month | no
    It costs twenty-one euros now. | It costs twenty euros now. | no
    She pays me on Fridays. | He pays me on Fridays. | no
    She pays me on Fridays. | She pays me on Friday. | no
    I want to stop working there. | I want to start working there. | no
    I walk to the bakery every morning at dawn. | I walked to the bakery every morning at dawn. | yes
    We like the new ovens and they are cheap. | We like the new oven and they are cheap. | yes
    It is a great help for me and my mother. | It is great help for me and my mother. | yes
    It is a great help for me and my mother. | It is a great help for me and my brother. | no
    We recieve the bread at four in the morning. | We receive the bread at four in the morning. | no
    I check the stock every single morning before we open. | I check the stocks every single morning before we open. | yes
    J'achète du pain tous les matins. | J’achète  du pain tous les matins | yes
    Ich brauche die Liste täglich. | Ich brauche Liste täglich. | yes
    The doctor told the nurse what to do. | The nurse told the doctor what to do. | no
    Tom lent Ann ten pounds for the fare. | Ann lent Tom ten pounds for the fare. | no
    Only the manager can open the safe. | The manager can open the safe. | no
    Only the manager can open the safe. | the manager can open the safe | no
    I have hardly any money left now. | I have any money left now. | no
    I hardly ever go to the market. | I ever go to the market. | no
    I hardly ever go to the market. | go to the market | no
    It takes at least two hours. | It takes at most two hours. | no
    I'd like to pay less for it. | I'd like to pay more for it. | no
    Twenty of us work here now. | Twenty of us work here now, um. | yes
    the bread, it never, uh, never rises in the winter | it never rises in the winter | no
    A few of my friends work here. | Few of my friends work here. | no
    I have a little money left for it. | I have little money left for it. | no
    Il a peu d'argent pour ce travail. | Il a un peu d'argent pour ce travail. | no
    Ich habe ein wenig Geld für den Laden. | Ich habe wenig Geld für den Laden. | no
    Tengo un poco de dinero para la tienda. | Tengo poco de dinero para la tienda. | no
    We keep the books in a tin. | "We keep the books in a tin..." | yes
    I was called by the bank on Monday. | I was calling by the bank on Monday. | no
    The trainer paid the trainee for the day. | The trainee paid the trainer for the day. | no
    No, money matters to us a lot. | No money matters to us a lot. | no
    No, money matters to us a lot. | No — money matters to us a lot. | yes
    I don't. Pay them on Friday, I mean. | I don't pay them on Friday, I mean. | no
    不，我喜欢这个超市的面包。 | 不我喜欢这个超市的面包 | no
    I, um, like, no longer work there. | I no longer work there. | yes
    我特别喜欢这个超市的面包。 | 喜欢这个超市的面包 | yes
    私は毎朝パンを必ず焼きます。 | 私は毎朝パンを | yes
    その店では花を売らず、家で売ります。 | その店では花を | no
    Der Hund jagt die Katze jeden Abend. | Die Katze jagt den Hund jeden Abend. | no
    Der Kunde bezahlt den Bäcker am Abend. | Den Kunden bezahlt der Bäcker am Abend. | no
    Ich fahre mit dem Bus zur Arbeit in die Stadt. | Ich fahre mit Bus zur Arbeit in Stadt. | yes
    Ich habe gestern abgenommen und fühle mich gut. | Ich habe gestern zugenommen und fühle mich gut. | no
    Das Gerät wird am Abend ausgeschaltet, glaube ich. | Das Gerät wird am Abend eingeschaltet, glaube ich. | no
    Ich kann das Gerät nicht mehr einschalten. | Ich kann das Gerät einschalten. | no
    Ich habe mich beim Amt angemeldet, endlich. | Ich habe mich beim Amt abgemeldet, endlich. | no
    Je suis content du nouveau four. | Je suis mécontent du nouveau four. | no
    Le patron paie le client le lundi. | Le client paie le patron le lundi. | no
    J'y vais souvent avec ma sœur. | J'y vais rarement avec ma sœur. | no
    El jefe paga al cliente los lunes. | El cliente paga al jefe los lunes. | no
    Siempre hay poco pan por la tarde. | Siempre hay mucho pan por la tarde. | no
    Esta tienda es barata para mí. | Esta tienda es cara para mí. | no
    Hay veinticinco personas en la tienda. | Hay veinte personas en la tienda. | no
    Il capo paga il cliente ogni lunedì. | Il cliente paga il capo ogni lunedì. | no
    Questo negozio è aperto di sera. | Questo negozio è chiuso di sera. | no
    Szef zawsze płaci w poniedziałek rano. | Szef nigdy płaci w poniedziałek rano. | no
    Начальник платит клиенту по вечерам. | Клиент платит начальнику по вечерам. | no
    Начальник включил печь рано утром. | Начальник выключил печь рано утром. | no
    Patron parayı pazartesi sabahı verir. | Patron parayı pazartesi sabahı vermez. | no
    Şekersiz çay içmeyi çok severim. | Şekerli çay içmeyi çok severim. | no
    我们店里有十五个人工作。 | 我们店里有五十个人工作。 | no
    老板给客人付钱。 | 客人给老板付钱。 | no
    我觉得这个比那个贵多了。 | 我觉得那个比这个贵多了。 | no
    我觉得这个比那个贵多了。 | 我觉得比贵多了 | no
    この店は高いと思います。 | この店は安いと思います。 | no
    その人はこの店で働いています。 | 人はこの店で働いています | yes
    店長が客にお金を払います。 | 客が店長にお金を払います。 | no
    사장님이 손님에게 돈을 줘요. | 손님이 사장님에게 돈을 줘요. | no
    เจ้านายจ่ายเงินให้ลูกค้า | ลูกค้าจ่ายเงินให้เจ้านาย | no
    I can hear it when I'm in the kitchen. | I can't hear it when I'm in the kitchen. | no
    We were able to do without it for years. | We were able to do it for years. | no
    I'd say half of us never use it. | I'd say half of us use it. | no
    It's cheaper than the old one for us. | It's cheaper the old one for us. | no
    We are open seven days a week here. | We are open six days a week here. | no
    She is a lot like her mother at work. | She is a lot her mother at work. | no
    The Smiths paid us and the Smith boys left. | The Smith paid us and the Smith boys left. | no
    Nobody would say it works for us here. | it works for us here | no
    I wouldn't say that it works for us. | it works for us | no
    Ich würde nie sagen, dass das gut ist. | das gut ist | no
    Je ne pense pas que ce soit trop cher. | ce soit trop cher | no
    No creo que sea demasiado caro. | sea demasiado caro | no
    Nie sądzę, że to jest dobry sklep. | to jest dobry sklep | no
    Я не думаю, что это хороший магазин. | это хороший магазин | no
    我不觉得这个面包便宜。 | 这个面包便宜 | no
    Bu ekmeği burada satın almıyorum. | Bu ekmeği burada satın | no
    I think that it works for us. | it works for us | yes
    Ich denke, dass das gut für uns ist. | das gut für uns ist | yes
    I thought it was not for me and then I bought the oven. | then I bought the oven | yes
    I can't say that I trust the app. | I trust the app | no
    So, like, I open at six, you know, and close at nine. | So I open at six and close at nine. | yes
    I, uh, I open at six every day. | I open at six every day. | yes
    The — how do you say — the oven is old and slow. | the oven is old and slow | yes
    We sell 1,500 loaves in a week. | We sell 1500 loaves in a week. | no
    “It’s fine,” she said, “but too dear.” | It's fine, she said, but too dear | yes
    I’d rather not pay for it at all. | I'd rather pay for it at all. | no
    I would rather walk than take the bus. | I would rather take the bus than walk. | no
    It is neither cheap nor quick for us. | It is cheap and quick for us. | no
    It's not only cheap, it's also quick. | It's only cheap, it's also quick. | no
    It's not only cheap, it's also quick. | it's also quick | yes
    Without the app we'd be lost in a week. | With the app we'd be lost in a week. | no
    Without the app we'd be lost in a week. | the app we'd be lost in a week | no
    I use it less and less these days. | I use it more and more these days. | no
    Everyone at work hates the new form. | No one at work hates the new form. | no
    Half of the staff work on Sundays. | All of the staff work on Sundays. | no
    I think, er, we should keep the old form. | I think we should keep the old form. | yes
    Also, ich glaube, ähm, wir behalten das alte Formular. | ich glaube, wir behalten das alte Formular | yes
    Wir brauchen mindestens zwei Wochen dafür. | Wir brauchen höchstens zwei Wochen dafür. | no
    Er zahlt mehr als ich für das Brot. | Er zahlt weniger als ich für das Brot. | no
    Ich nehme den Bus mit dem Rad. | Ich nehme den Bus ohne dem Rad. | no
    Alors, euh, je prends, quoi, le bus tous les matins. | je prends le bus tous les matins | yes
    Bueno, este, cierro la tienda, o sea, a las nueve. | cierro la tienda a las nueve | yes
    Então, tipo, eu fecho a loja, né, às nove horas. | eu fecho a loja às nove horas | yes
    No i, yyy, zamykam sklep, wiesz, o dziewiątej. | zamykam sklep o dziewiątej | yes
    Yani, şey, ben dükkânı, ııı, dokuzda kapatıyorum. | ben dükkânı dokuzda kapatıyorum | yes
    まあ、あの、店はえーと、九時に閉めます。 | 店は九時に閉めます | yes
    嗯，我九点，呃，关门回家。 | 我九点关门回家 | yes
    그, 저는 아홉 시에, 뭐, 문을 닫아요. | 저는 아홉 시에 문을 닫아요 | yes
    ฉันปิดร้าน เอ่อ ตอนเก้าโมง | ฉันปิดร้านตอนเก้าโมง | yes
    THE OVEN IS OLD AND SLOW. | the oven is old and slow | yes
    Straße und Gasse sind im Winter glatt. | STRASSE UND GASSE SIND IM WINTER GLATT | yes
    İstanbul'da ılık bir kış vardı. | İSTANBUL'DA ILIK BİR KIŞ VARDI. | yes
    ＡＢＣストアで毎日買い物をします。 | ABCストアで毎日買い物をします | yes
"#;

#[test]
fn true_quotes_are_found_and_others_are_not() {
    let mut checked = 0;
    for line in PAIRS.lines().filter(|line| !line.trim().is_empty()) {
        let parts: Vec<&str> = line.trim().split(" | ").collect();
        let document =
            Document::parse("a.txt", format!("Interviewer: So?\nP1: {}\n", parts[0]).as_bytes()).unwrap();
        let found = verify(&[Wanted::new(parts[1])], &[document]).remove(0);
        assert_eq!(found.is_ok(), parts[2] == "yes", "{line}: {found:?}");
        checked += 1;
    }
    assert!(checked > 180, "{checked}");
}
